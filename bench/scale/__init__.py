"""Whether what is kept slows down what is alive, and how fast what is old can be removed."""
