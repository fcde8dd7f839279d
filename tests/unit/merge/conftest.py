"""The small base model and the adapter on it that the merge's tests start from.

What writes them is imported late: the environment of the tests that do not merge lacks ml_dtypes.
"""

from pathlib import Path

import pytest


@pytest.fixture
def base(tmp_path: Path) -> Path:
    from tests.unit.merge.small_models import weights, write_base

    return write_base(tmp_path / "base", weights(), shards=3)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    from tests.unit.merge.small_models import peft_factors, write_peft_adapter

    return write_peft_adapter(tmp_path / "adapter", peft_factors())
