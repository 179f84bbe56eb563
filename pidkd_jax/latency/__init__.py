"""How fast networks answer where they are used, at what memory and size."""
