"""The application: routers, services, repositories, models, schemas, and what they share."""
