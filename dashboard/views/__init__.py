"""The pages, each a file of its own with one function ``page``. They draw; data and charts are made elsewhere."""
