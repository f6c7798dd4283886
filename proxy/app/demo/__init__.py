"""`tidegate demo`: the whole product in one process, without a GPU or a network, told in scenes."""
