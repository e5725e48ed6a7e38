package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stekring/stekring/config"
)

// strict has help and completion refuse what they do not know, as every other
// verb does. Cobra lets them end well.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Run = nil
			cmd.RunE = func(_ *cobra.Command, args []string) error {
				about, _, err := root.Find(args)
				if err != nil {
					return &exitError{exitUsage, err}
				}
				about.InitDefaultHelpFlag()
				return about.Help()
			}
		case "completion":
			cmd.RunE = func(*cobra.Command, []string) error {
				return usage("completion needs a shell: bash, fish, powershell or zsh")
			}
		}
	}
}

// meant adds to the error about an unknown flag the ones that were probably
// meant, by cobra's own measure for verbs.
func meant(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	known := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		known.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	if s := known.SuggestionsFor(unknown.GetSpecifiedName()); len(s) > 0 {
		return fmt.Errorf("%w; did you mean --%s?", err, strings.Join(s, " or --"))
	}
	return err
}

// discreet takes out of a text what was typed and looks like a key: it should
// not be in a log as well.
func discreet(text string, args []string) string {
	hide := func(a string) {
		if config.LooksSecret(a) {
			quoted, cut := strconv.Quote(a), strings.TrimRight(a, "=") // as flags are cut
			text = strings.NewReplacer(a, "(not shown)", quoted[1:len(quoted)-1], "(not shown)", cut, "(not shown)").Replace(text)
		}
	}
	for _, a := range args {
		if strings.HasPrefix(a, "-") && len(a) > 1 { // a flag's value, or what is no flag
			_, value, _ := strings.Cut(a, "=")
			hide(value)
			hide(a[2:])
		}
		hide(a)
	}
	return text
}
