"""Whether answers stand by their citations: precision and recall, faithfulness, abstention."""
