"""The Gradio application and the commands that start it."""
