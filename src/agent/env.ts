import { envName } from '../model/env.ts'
import type { Container, Pod } from '../model/kinds/kubernetes.ts'
import type { Refusal } from './contract.ts'

export interface ResolvedCommand {
  command: string[]
  env: Record<string, string>
}

export interface EnvSources {
  /** What the agent itself provides (folders, progress file); the pod's own entries win. */
  provided: Record<string, string>
  /** Text of a secret's key; undefined when there is none. */
  secret(name: string, key: string): Promise<string | undefined>
  /** Names beyond the usual that this pool lets its pods set. */
  allowed: readonly string[]
  hostIP: string
}

/** The command line and environment as a kubelet would make them: references read, `$(NAME)` expanded, in order. */
export async function resolveCommand(
  pod: Pod,
  container: Container,
  sources: EnvSources,
): Promise<ResolvedCommand | Refusal> {
  const env: Record<string, string> = { ...sources.provided }
  const secrets = new Set<string>()
  for (const entry of container.env ?? []) {
    const { name } = entry
    const problem = nameProblem(name, sources.allowed)
    if (problem !== undefined) return refuse(problem)
    const reference = entry.valueFrom?.secretKeyRef
    if (reference !== undefined) {
      const text = await sources.secret(reference.name, reference.key)
      if (text === undefined && reference.optional === true) continue
      if (text === undefined)
        return refuse(
          `environment variable ${name} wants key "${reference.key}" of Secret "${reference.name}", which is not there; create it in namespace "${pod.metadata.namespace ?? 'default'}"`,
          'CreateContainerConfigError',
        )
      env[name] = text
      secrets.add(name)
      continue
    }
    const path = entry.valueFrom?.fieldRef?.fieldPath
    if (path !== undefined) {
      const value = fieldOf(pod, path, sources.hostIP)
      if (value === undefined)
        return refuse(`environment variable ${name} refers to ${path}, which pods do not have here`)
      env[name] = value
      continue
    }
    if (entry.valueFrom !== undefined && Object.keys(entry.valueFrom).length > 0)
      return refuse(
        `environment variable ${name} uses ${Object.keys(entry.valueFrom)[0]}; use fieldRef or secretKeyRef here`,
      )
    const expanded = expand(entry.value ?? '', env)
    env[name] = expanded.text
    if (expanded.used.some((used) => secrets.has(used))) secrets.add(name)
  }
  if ((container.envFrom ?? []).length > 0)
    return refuse('envFrom is not supported here; name each variable under env with secretKeyRef')

  const command: string[] = []
  for (const word of [...(container.command ?? []), ...(container.args ?? [])]) {
    const expanded = expand(word, env)
    const leaked = expanded.used.find((used) => secrets.has(used))
    if (leaked !== undefined)
      return refuse(
        `the command line uses $(${leaked}), a secret that everybody could read in the process list; let the program read it from its environment`,
      )
    if (expanded.text.includes('\0')) return refuse('the command line holds a NUL character')
    command.push(expanded.text)
  }
  const nul = Object.entries(env).find(([, value]) => value.includes('\0'))
  if (nul !== undefined) return refuse(`environment variable ${nul[0]} holds a NUL character`)
  return { command, env }
}

/** Variables that make any program run code that is not its own. */
export function isDeniedEnv(name: string): boolean {
  return denied.test(name)
}

const denied =
  /^(LD_.*|DYLD_.*|BASH_FUNC_.*|NODE_OPTIONS|NODE_REPL_EXTERNAL_MODULE|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|PS4|IFS|GCONV_PATH|GLIBC_TUNABLES|MALLOC_.*|PERL5OPT|PERL5LIB|PERL5DB|RUBYOPT|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|PYTHONSTARTUP|PYTHONINSPECT)$/

function nameProblem(name: string, allowed: readonly string[]): string | undefined {
  if (!envName.test(name)) return `${JSON.stringify(name.slice(0, 100))} is not the name of an environment variable`
  if (isDeniedEnv(name) && !allowed.includes(name))
    return `environment variable ${name} is not allowed here: it makes other programs run foreign code; a pool that wants it lists it under allowEnv`
  return undefined
}

/**
 * `$(NAME)` becomes its value, `$$(NAME)` a literal `$(NAME)`; an unknown name stays as it is. Kubernetes' rules, except
 * that a `$$` before anything else stays too: to the shell it is a process id.
 */
export function expand(text: string, env: Readonly<Record<string, string>>): { text: string; used: string[] } {
  const used: string[] = []
  const expanded = text.replace(/\$(\$?)\(([^()]*)\)/g, (match, escaped: string, name: string) => {
    if (escaped === '$') return `$(${name})`
    if (!Object.hasOwn(env, name)) return match
    used.push(name)
    return env[name] ?? ''
  })
  return { text: expanded, used }
}

/** What a fieldRef reads; a label or annotation that is not set is empty; undefined: there is no such field here. */
function fieldOf(pod: Pod, path: string, hostIP: string): string | undefined {
  const { metadata } = pod
  const map = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path)
  if (map?.[2] !== undefined) return (map[1] === 'labels' ? metadata.labels : metadata.annotations)?.[map[2]] ?? ''
  switch (path) {
    case 'metadata.name':
      return metadata.name
    case 'metadata.namespace':
      return metadata.namespace ?? 'default'
    case 'metadata.uid':
      return metadata.uid ?? ''
    case 'spec.nodeName':
      return pod.spec.nodeName ?? ''
    case 'status.hostIP':
    case 'status.podIP':
      return hostIP
    default:
      return undefined
  }
}

function refuse(message: string, reason = 'Unsupported'): Refusal {
  return { refused: true, reason, message }
}
