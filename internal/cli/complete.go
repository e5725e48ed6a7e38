package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is the help of a flag that takes one of a few values: "table, json or
// yaml".
var choice = regexp.MustCompile(`^([\w.]+(?:, [\w.]+)*) or ([\w.]+)(?: \(.*\))?$`)

// completable tells shells what there is to choose from.
func completable(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.ValidArgsFunction == nil && !strings.Contains(cmd.Use, " FILE") {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if m := choice.FindStringSubmatch(f.Usage); m != nil {
				values := cobra.FixedCompletions(append(strings.Split(m[1], ", "), m[2]), cobra.ShellCompDirectiveNoFileComp)
				if err := cmd.RegisterFlagCompletionFunc(f.Name, values); err != nil {
					panic(err) // only for a flag that there is not, or twice
				}
			}
		})
	}
}
