/**
 * `events-endpoint completion`: prints what a shell needs to complete commands and flags.
 *
 * @module
 */
import { nearestOf } from "../events/arguments.ts";
import { type Command, flagsIn, type HelpFlag } from "./command.ts";
import { parseFlags, UsageError } from "./usage.ts";

/** What `completion --help` shows. */
export const COMPLETION_HELP: string =
  `events-endpoint completion SHELL: print what a shell needs to complete the command

  source <(events-endpoint completion bash)
  events-endpoint completion zsh > "\${fpath[1]}/_events-endpoint"
  events-endpoint completion fish > ~/.config/fish/completions/events-endpoint.fish

  --help                  show this and exit`;

/** The flags of each command, and the words that it takes beside files and URLs. */
type Table = readonly {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly HelpFlag[];
  readonly words: readonly string[];
}[];

const SHELLS: Readonly<Record<string, (table: Table) => string>> = { bash, zsh, fish };

/** Prints the completions of a shell. */
export async function completion(args: string[], commands: readonly Command[]): Promise<void> {
  const { values, positionals: [shell] } = parseFlags(args, { help: { type: "boolean", short: "h" } }, true);
  if (values["help"]) return console.log(COMPLETION_HELP);
  const names = Object.keys(SHELLS);
  if (shell === undefined || !names.includes(shell)) {
    const nearest = shell === undefined ? undefined : nearestOf(shell, names);
    const hint = nearest === undefined ? "" : `: did you mean ${nearest}?`;
    throw new UsageError(
      `completion takes ${names.join(", ")}${shell === undefined ? "" : `, not "${shell}"`}${hint}`,
    );
  }
  console.log(await completionOf(shell, commands));
}

/** Returns the completions of a shell. */
export async function completionOf(shell: string, commands: readonly Command[]): Promise<string> {
  const table = await Promise.all(commands.map(async ({ name, summary, load }) => ({
    name,
    summary,
    flags: flagsIn((await load()).help),
    words: name === "completion" ? Object.keys(SHELLS) : [],
  })));
  return SHELLS[shell]!(table);
}

function bash(table: Table): string {
  const cases = table.map(({ name, flags, words }) =>
    `    ${name}) words='${[...words, ...flags.map((flag) => `--${flag.name}`)].join(" ")}' ;;`
  );
  return `_events_endpoint() {
  local words='' current="\${COMP_WORDS[COMP_CWORD]}"
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  [ "$COMP_CWORD" -eq 1 ] && words='${table.map(({ name }) => name).join(" ")} --help --version'
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _events_endpoint events-endpoint`;
}

/** A text in single quotes, as every POSIX shell reads it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function zsh(table: Table): string {
  const escaped = (text: string) => text.replaceAll(/[[\]:\\]/g, "\\$&");
  const flagOf = ({ name, value, summary }: HelpFlag) => {
    const often = summary.includes("may be repeated") ? "*" : "";
    return quoted(`${often}--${name}[${escaped(summary)}]${value === undefined ? "" : `:${value}:_files`}`);
  };
  const cases = table.map(({ name, flags, words }) => {
    const rest = words.length === 0 ? "_files" : `(${words.join(" ")})`;
    return `    ${name}) _arguments ${flags.map(flagOf).join(" ")} '*: :${rest}' ;;`;
  });
  return `#compdef events-endpoint
_events_endpoint() {
  local -a commands=(
${table.map(({ name, summary }) => `    ${quoted(`${name}:${escaped(summary)}`)}`).join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
if [ "$funcstack[1]" = "_events-endpoint" ]; then
  _events_endpoint "$@"
else
  compdef _events_endpoint events-endpoint
fi`;
}

function fish(table: Table): string {
  const text = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const all = table.map(({ name }) => name).join(" ");
  return table.flatMap(({ name, summary, flags, words }) => [
    `complete -c events-endpoint -n 'not __fish_seen_subcommand_from ${all}' -f -a ${name} -d ${
      text(summary)
    }`,
    ...words.map((word) =>
      `complete -c events-endpoint -n '__fish_seen_subcommand_from ${name}' -f -a ${word}`
    ),
    ...flags.map((flag) =>
      `complete -c events-endpoint -n '__fish_seen_subcommand_from ${name}' -l ${flag.name}${
        flag.value === undefined ? "" : " -r"
      } -d ${text(flag.summary)}`
    ),
  ]).join("\n");
}
