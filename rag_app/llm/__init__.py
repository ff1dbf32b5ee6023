"""The client of language-model servers: what they accept, and how their replies are put right."""
