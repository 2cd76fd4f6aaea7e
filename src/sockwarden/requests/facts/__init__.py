"""What a request would make, in one shape whatever the runtime: containers, commands, images, builds, volumes."""
