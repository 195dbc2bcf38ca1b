/**
 * The shim between the agent and a pod's command: it outlives the agent, claims the pod so that nobody starts it twice,
 * and records how it ended. A `sh` of a few builtins: one fork, no program of its own.
 *
 * `$1` the pod's folder, `$2` boot id, `$3` node, `$4` the `cgroup.procs` that bounds its memory, or nothing; then the
 * command. Files in the folder:
 *   claim  made exclusively; line 1 is the shim's process, line 2 the command's (pid and start time): without it the
 *          command never ran
 *   exit   the exit status as a shell reports it (128 + n for signal n); its time is the pod's end. Its place is taken
 *          before the command runs, so that a disk which is full at the end has room for it
 * The shim itself exits with 97 where somebody else has the claim, with 98 where there is no room for these files.
 *
 * The command runs in a subshell that writes its own pid and execs, so that pid is the command's. In the foreground,
 * because a shell makes background commands deaf to SIGINT. SIGTERM goes to the whole group; the shim must survive it
 * to record what the command made of it. Only the command enters the cgroup: what the kernel kills there is not the shim.
 */
export const shim = `set -C
_mw() {
if [ -r /proc/self/stat ]; then read -r _mw_p </proc/self/stat
else _mw_i=$(exec sh -c 'echo $PPID'); _mw_p="$_mw_i $(LC_ALL=C TZ=UTC0 ps -o lstart= -p "$_mw_i")"; fi; }
trap : TERM INT HUP
_mw_d=$1
_mw
exec 3>&2 2>/dev/null
true >"$_mw_d/claim" || exit 97
printf '%s\\t%s\\t%s\\n' "$2" "$3" "$_mw_p" >>"$_mw_d/claim" && printf '   \\n' >"$_mw_d/exit" || exit 98
( trap - TERM INT HUP; _mw_c=$4; shift 4; [ -z "$_mw_c" ] || printf 0 >>"$_mw_c"
_mw; printf '%s\\n' "$_mw_p" >>"$_mw_d/claim" || exit 98
set +C; unset _mw_c _mw_d _mw_p _mw_i; exec 2>&3 3>&-; exec "$@" )
_mw_s=$?
printf '%3s\\n' "$_mw_s" 1<>"$_mw_d/exit"
exit "$_mw_s"`

export const shimCodes = { claimed: 97, noRoom: 98 } as const

export interface Claim {
  boot: string
  node: string
  shim: ProcessId
  /** Not there yet in the instant between claim and start. */
  command?: ProcessId
}

/** A pid alone is not an identity: it is used again. */
export interface ProcessId {
  pid: number
  startedAt: string
}

export function parseClaim(text: string): Claim | undefined {
  const [first, second, rest] = text.split('\n')
  const [boot, node, process] = (first ?? '').split('\t')
  if (boot === undefined || node === undefined || process === undefined || second === undefined) return undefined
  const shim = parseProcess(process)
  const command = rest === undefined ? undefined : parseProcess(second)
  if (shim === undefined) return undefined
  return { boot, node, shim, ...(command === undefined ? {} : { command }) }
}

/** A line of /proc/PID/stat, or "PID lstart" from ps. */
export function parseProcess(line: string): ProcessId | undefined {
  const pid = Number.parseInt(line, 10)
  if (!(pid > 0)) return undefined
  const close = line.lastIndexOf(')')
  if (close < 0) return { pid, startedAt: line.slice(String(pid).length).trim() }
  // proc(5): the fields after the name begin with the state (3rd); the start time is the 22nd.
  const startedAt = line.slice(close + 2).split(' ')[19]
  return startedAt === undefined ? undefined : { pid, startedAt }
}
