"""Shared by all tests: how hypothesis looks for examples."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples in every run, so that a failure is the change's fault. To look further afield:
# HYPOTHESIS_PROFILE=explore scripts/test tests/wire
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
