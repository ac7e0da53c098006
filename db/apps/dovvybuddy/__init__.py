"""DovvyBuddy: dive destinations, leads, chat sessions, embeddings for retrieval (its PR1 document)."""
