"""Training: fine-tuning on the Hugging Face Trainer, and prediction with a saved system. Needs the extra `models`."""
