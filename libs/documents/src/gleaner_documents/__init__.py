"""From bytes to pages, words and boxes: sniffing, PDF, OCR, child processes."""
