"""What a model's layers put out, tapped with hooks; and a model as plain piecewise-affine arrays."""
