"""Archives of what users noted: their format, the zip file around it, and which of them are kept."""
