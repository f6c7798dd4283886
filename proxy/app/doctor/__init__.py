"""What is wrong around a configuration: questions to engines and to this machine, and what their answers mean."""
