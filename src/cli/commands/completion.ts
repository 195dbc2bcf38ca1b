import type { Command } from 'commander'
import { kinds } from '../../model/registry.ts'
import { Exit, exit } from '../exit.ts'

export function completion(shell: string, program: Command | null): void {
  if (shell !== 'bash' && shell !== 'zsh')
    throw new Exit(exit.usage, `completion: found "${shell}"; allowed are bash, zsh.`)
  const commands = (program?.commands ?? []).map((command) => command.name()).join(' ')
  const plurals = Object.values(kinds)
    .map((info) => info.plural)
    .join(' ')
  const script = `_millwright() {
  local word="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${commands}" -- "$word")); return; fi
  case "$command:$COMP_CWORD" in
    get:2|describe:2|delete:2|schema:2|explain:2) COMPREPLY=($(compgen -W "${plurals}" -- "$word")) ;;
    get:*|describe:*|delete:*) COMPREPLY=($(compgen -W "$(millwright get "\${COMP_WORDS[2]}" -o name 2>/dev/null | sed 's,.*/,,')" -- "$word")) ;;
    logs:2|why:2|suspend:2|resume:2) COMPREPLY=($(compgen -W "$(millwright get trainingjobs -o name 2>/dev/null | sed 's,.*/,,')" -- "$word")) ;;
    chat:2) COMPREPLY=($(compgen -W "$(millwright get inferenceservices -o name 2>/dev/null | sed 's,.*/,,')" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -F _millwright millwright`
  console.log(shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script)
}
