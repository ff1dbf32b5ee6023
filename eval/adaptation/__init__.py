"""Adaptation: an encoder is trained on a collection, and what that gained is measured."""
