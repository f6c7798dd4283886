"""Tests against a real engine. They need `make engines` once; without it they are skipped."""
