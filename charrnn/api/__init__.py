"""What `import charrnn` offers, and what every command calls: it prints nothing and knows no terminal."""
