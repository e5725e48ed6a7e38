// Command stekring shares one ring of TLS session ticket keys among a fleet.
package main

import (
	"os"

	"github.com/stekring/stekring/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
