"""Evaluation: the record and the predictions beside it, on clean and attacked files; what cannot be scored is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from robustbench_char.attacks.ledger import LEDGER_COLUMNS, ledger_schema
from robustbench_char.attacks.suites import Strength, load_suite
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.common.provenance import provenance
from robustbench_char.evaluation.metrics import QaGold, QaPrediction, score
from robustbench_char.evaluation.records import PREDICTION_COLUMNS, read_predictions, read_record
from robustbench_char.tasks.base import Answer, Example
from robustbench_char.tasks.manifest import Counts, FileInfo, Manifest, StrengthInfo, write_manifest
from robustbench_char.training.evaluate import evaluate
from robustbench_char.training.predict import load_system

pytestmark = pytest.mark.models
