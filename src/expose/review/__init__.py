"""A page in the browser on which a person looks at suspects and labels them, and the model learns from it."""
