"""Documents in: loaders, chunking, samples."""
