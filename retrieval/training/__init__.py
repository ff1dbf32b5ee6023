"""Training encoders and rerankers: losses, training data, the trainer's set-up, and the result."""
