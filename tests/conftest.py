"""Which test files an environment can run: those that need a heavy stack say so in their names.

Hypothesis has no deadline here: a busy machine is not a defect.
"""

from importlib.util import find_spec

import hypothesis

collect_ignore_glob = [
    f"**/test_*_{suffix}.py" for suffix, module in (("jax", "jax"), ("torch", "torch")) if find_spec(module) is None
]
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")
