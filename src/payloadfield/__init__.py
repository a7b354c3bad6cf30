"""payloadfield: spatial reaction-diffusion of antibody-drug conjugates in printed scaffolds."""
