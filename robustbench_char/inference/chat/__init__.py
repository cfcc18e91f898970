"""Chat models behind an OpenAI-compatible endpoint: prompts, requests, reading of answers. No torch is imported."""
