/**
 * The manual page, made of the help of each command.
 *
 * @module
 */
import { VERSION } from "../version.ts";
import { COMMANDS } from "./commands.ts";

/** Returns the page in the format of man(7). */
export async function manualPage(): Promise<string> {
  const sections = await Promise.all(COMMANDS.map(async ({ name, load }) => {
    const { help } = await load();
    return `.SS ${name}\n.nf\n${escaped(help)}\n.fi`;
  }));
  return `.TH EVENTS-ENDPOINT 1 "" "events-endpoint ${VERSION}" "User Commands"
.SH NAME
events\\-endpoint \\- stream events over HTTP
.SH SYNOPSIS
${COMMANDS.map(({ usage }) => `.B events\\-endpoint\n${escaped(usage)}\n.br`).join("\n")}
.SH COMMANDS
${sections.join("\n")}
.SH EXIT STATUS
0 for success and at Ctrl\\-C, 1 for a failure, 2 for a mistake in the command line, 3 from forward if events were lost.
`;
}

/** Text as roff shows it unchanged. */
function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll(/^(?=[.'])/gm, "\\&");
}
