"""What the project costs, measured beside what it is compared with. No test: figures stand in docs/performance.md."""
