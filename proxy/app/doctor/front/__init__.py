"""What stands between clients and the proxy: asked through the public URL, answered by the doctor or the proxy."""
