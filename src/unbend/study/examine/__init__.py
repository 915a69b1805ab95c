"""An examination of a network: what its layers' statistics cannot tell, asked of the network, its loss and its data."""
