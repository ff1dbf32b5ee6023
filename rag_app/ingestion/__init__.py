"""Files -> parse -> split -> encode -> write, in this process or on a Ray cluster."""
