"""Which test files an environment can run: those that need a heavy stack say so in their names."""

from importlib.util import find_spec

collect_ignore_glob = [
    f"**/test_*_{suffix}.py" for suffix, module in (("jax", "jax"), ("torch", "torch")) if find_spec(module) is None
]
