"""Questions made from the user's own documents."""
