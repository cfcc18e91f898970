"""From a task's file to an attacked one and back: file, edit ledger and manifest, written, verified and shown."""

from __future__ import annotations
