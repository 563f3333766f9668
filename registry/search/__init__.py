"""Finding loras by anything known about them: fields, queries, a matcher, and an index that follows."""
