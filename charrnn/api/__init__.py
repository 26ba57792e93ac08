"""The functions that `import charrnn` offers and that the commands call; they print nothing and use no terminal."""
