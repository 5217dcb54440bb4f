"""Everything that writes to the book, whoever asks for it: entries, their changes, files of them."""
