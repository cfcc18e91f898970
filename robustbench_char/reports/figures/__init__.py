"""Figures of the report, one file per kind, drawn with matplotlib."""

from __future__ import annotations
