import type { Command } from 'commander'
import { kinds } from '../../model/registry.ts'
import { Exit, exit } from '../exit.ts'

export function completion(shell: string, program: Command | null): void {
  if (shell !== 'bash' && shell !== 'zsh')
    throw new Exit(exit.usage, `completion: found "${shell}"; allowed are bash, zsh.`)
  const commands = (program?.commands ?? []).map((command) => command.name()).join(' ')
  const groups = (program?.commands ?? [])
    .filter((command) => command.commands.length > 0)
    .map((group) => {
      const inner = group.commands.map((command) => command.name()).join(' ')
      return `    ${group.name()}:2) COMPREPLY=($(compgen -W "${inner}" -- "$word")) ;;\n`
    })
    .join('')
  const plurals = Object.values(kinds)
    .map((info) => info.plural)
    .join(' ')
  // What chooses the factory is handed to the commands that list its names.
  const valued = (program?.options ?? []).filter((option) => option.required)
  const globals = valued.flatMap((option) => [option.short, option.long]).filter((flag) => flag !== undefined)
  const files = valued.filter((option) => /<(file|folder)>/.test(option.flags)).map((option) => option.long)
  const script = `_millwright() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" at=1 globals=() command place
  while [ "$at" -lt "$COMP_CWORD" ]; do
    case "\${COMP_WORDS[at]}" in
      ${globals.join('|')}) globals+=("\${COMP_WORDS[@]:at:2}"); at=$((at + 2)) ;;
      *) break ;;
    esac
  done
  command="\${COMP_WORDS[at]}" place=$((COMP_CWORD - at + 1))
  _millwright_names() { millwright "\${globals[@]}" get "$1" -o name 2>/dev/null | sed 's,.*/,,'; }
  case "$before" in
    ${files.join('|')}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    ${globals.join('|')}) COMPREPLY=(); return ;;
  esac
  if [ "$place" -eq 1 ] && [ "\${word:0:1}" = - ]; then COMPREPLY=($(compgen -W "${globals.join(' ')}" -- "$word")); return; fi
  if [ "$place" -eq 1 ]; then COMPREPLY=($(compgen -W "${commands}" -- "$word")); return; fi
  case "$command:$place" in
    get:2|describe:2|delete:2|schema:2|explain:2) COMPREPLY=($(compgen -W "${plurals}" -- "$word")) ;;
    get:*|describe:*|delete:*) COMPREPLY=($(compgen -W "$(_millwright_names "\${COMP_WORDS[at+1]}")" -- "$word")) ;;
    logs:2|why:2|suspend:2|resume:2) COMPREPLY=($(compgen -W "$(_millwright_names trainingjobs)" -- "$word")) ;;
    cordon:2|drain:2|uncordon:2) COMPREPLY=($(compgen -W "$(_millwright_names nodes)" -- "$word")) ;;
    chat:2) COMPREPLY=($(compgen -W "$(_millwright_names inferenceservices)" -- "$word")) ;;
${groups}    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -F _millwright millwright`
  console.log(shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script)
}
