terraform {
  # Earlier ones know no validation over several variables.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.79, < 7"
    }
  }
}
