import { Command, CommanderError, Option } from 'commander'
import { OperatingError } from '../base/errors.ts'
import { nearest } from '../model/nearest.ts'
import { version } from '../runtime/version.ts'
import { Exit, exit } from './exit.ts'
import type { Global } from './global.ts'
import { endWithReader } from './output.ts'

const footer = `
Exit codes: 0 done, 1 refused or failed, 2 wrong command line or file, 3 not found, 4 no factory answers, 130 interrupted.
Which factory: --kubeconfig, --server or --dir, else MILLWRIGHT_KUBECONFIG or MILLWRIGHT_SERVER, else a folder; \`doctor\` says.
Start with \`millwright up\` in one terminal and \`millwright run -- echo hello\` in another.`

/** Runs one command line and returns its exit code. Nothing but a sentence ever reaches stderr. */
export async function run(argv: string[]): Promise<number> {
  endWithReader()
  const program = build()
  try {
    await program.parseAsync(argv, { from: 'user' })
    return typeof process.exitCode === 'number' ? process.exitCode : exit.ok
  } catch (error) {
    return report(error)
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exit.ok : exit.usage
  if (error instanceof Exit) {
    if (error.message !== '') process.stderr.write(`millwright: ${error.message}\n`)
    return error.code
  }
  const code = (error as { code?: unknown }).code
  const status = (error as { status?: { message?: string; code?: number } }).status
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET') {
    process.stderr.write('millwright: the factory does not answer; is `millwright up` running?\n')
    return exit.unreachable
  }
  if (status?.message !== undefined) {
    process.stderr.write(`millwright: ${status.message}\n`)
    return status.code === 404 ? exit.notFound : status.code === 422 || status.code === 400 ? exit.usage : exit.failed
  }
  if (error instanceof OperatingError) {
    process.stderr.write(`millwright: ${error.message}\n`)
    if (error.code === 'bad-server') return exit.usage
    return error.code === 'unreachable' ? exit.unreachable : exit.failed
  }
  process.stderr.write(`millwright: ${error instanceof Error ? error.message : String(error)}\n`)
  if (process.env['MILLWRIGHT_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  return exit.failed
}

function build(): Command {
  const program: Command = new Command('millwright')
    .description('An AI factory as code: trains, survives, serves and accounts.')
    .version(version, '-V, --version')
    .showSuggestionAfterError(true)
    .showHelpAfterError('(`millwright --help` lists the commands)')
    .configureOutput({ outputError: (text, write) => write(withNearCommand(text, program)) })
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', footer)
  for (const option of globalOptions()) program.addOption(option)
  for (const add of commands) add(program)
  for (const command of program.commands) finish(command, 'millwright')
  return program
}

/** The parser's own guesses at a command are far off: half of the letters may differ. */
function withNearCommand(text: string, program: Command): string {
  const word = /unknown command '(.*)'/.exec(text)?.[1]
  if (word === undefined) return text
  const near = nearest(
    word,
    program.commands.flatMap((command) => [command, ...command.commands]).map((command) => command.name()),
  )
  return `error: unknown command '${word}'${near === undefined ? '' : `; did you mean '${near}'?`}\n`
}

/** Every command takes the global options after its name too, except the demo, which hands its own on. */
function finish(command: Command, within: string): void {
  const name = `${within} ${command.name()}`
  command.exitOverride().showHelpAfterError(`(\`${name} --help\` says how)`)
  for (const inner of command.commands) finish(inner, name)
  if (command.name() !== 'demo') for (const option of globalOptions()) command.addOption(option.hideHelp())
}

const globalOptions = () => [
  new Option('--dir <folder>', 'the factory of this folder (default: $MILLWRIGHT_DIR or ~/.millwright)'),
  new Option('--server <url>', 'the factory at this address ($MILLWRIGHT_SERVER)'),
  new Option('--token <token>', 'its token ($MILLWRIGHT_TOKEN)').hideHelp(),
  new Option('--certificate-authority <file>', 'PEM of who signed its certificate ($MILLWRIGHT_CERTIFICATE_AUTHORITY)'),
  new Option('--kubeconfig <file>', 'the factory of a kubeconfig ($MILLWRIGHT_KUBECONFIG)'),
  new Option('--context <name>', 'a context of it (default: its current-context)'),
  new Option('-n, --namespace <name>', "namespace (default: the kubeconfig's, else default)"),
  new Option('--request-timeout <time>', 'for how long a factory may be silent, e.g. 5m; 0s: for ever (default: 30s)'),
]

type Add = (program: Command) => void

/** Each command loads its code when it runs: `get` need not load the factory. */
const commands: Add[] = [
  (program) =>
    program
      .command('up')
      .description('Run a factory here, in the foreground; Ctrl-C suspends its work, the next `up` resumes it')
      .option('--host <address>', 'address to listen on; beyond this machine only with TLS and API keys', '127.0.0.1')
      .option('--port <port>', 'port of the API; 0 takes a free one', '7070')
      .option('--gateway-port <port>', 'port of the OpenAI-compatible gateway; 0 takes a free one', '7071')
      .option('--nodes <count>', 'present this machine as several logical nodes', '1')
      .option('--slots <count>', 'CPU slots of the machine (default: max(4, cores))')
      .option('--api-key-file <file>', 'keys that the gateway asks for, one a line; its owner alone may read it')
      .option('--api-key <key...>', 'such keys, where others may see the command line (`ps`)')
      .option('--tls-cert <file>', 'PEM certificate for API and gateway')
      .option('--tls-key <file>', 'its key')
      .option('--tls-host <name...>', "what clients call this machine (default: the certificate's names)", collect, [])
      .option('--log-level <level>', 'debug, info, warn, error', 'info')
      .action(async (options, command: Command) => (await import('./commands/up.ts')).up(options, globals(command))),
  (program) =>
    program
      .command('demo')
      .description('Train, kill, recover, publish, serve: what `npm start` runs')
      .allowUnknownOption(true)
      .helpOption(false)
      .argument('[options...]')
      .passThroughOptions()
      .action(async (rest: string[]) => (await import('./commands/demo.ts')).demo(rest)),
  (program) =>
    program
      .command('run')
      .description('Run a command as a training job, follow it to its end and exit with its code')
      .usage('[options] -- COMMAND [ARG...]')
      .argument('<command...>')
      .passThroughOptions()
      .option('--name <name>', 'name of the job (default: from the command)')
      .option('--workers <count>', 'members of the gang', '1')
      .option('--min-workers <count>', 'runs with as many members as there is room for, from this on')
      .option('--accelerators <model:count>', 'per worker, e.g. H100:8 or cpu:1')
      .option('--cpu <quantity>', 'per worker')
      .option('--memory <quantity>', 'per worker')
      .option('--image <image>', 'container image')
      .option('--env <NAME=value...>', 'environment', collect, [] as string[])
      .option('--queue <name>', 'queue', 'default')
      .option('--priority <number>', 'higher goes first', '0')
      .option('--max-restarts <count>', 'failed attempts allowed', '0')
      .option('--workdir <folder>', 'working folder (default: this one)')
      .option('--detach', 'submit and return')
      .addHelpText('after', '\nExample: millwright run --workers 2 -- python3 train.py --epochs 3')
      .action(async (words: string[], options, command: Command) =>
        (await import('./commands/run.ts')).runJob(words, options, globals(command)),
      ),
  (program) =>
    program
      .command('plan')
      .description('Show what applying files would change and disturb; changes nothing')
      .requiredOption(
        '-f, --file <path...>',
        'YAML or JSON files, or folders of them; - reads standard input',
        collect,
        [],
      )
      .option('-o, --output <format>', 'text, json, yaml', 'text')
      .action(async (options, command: Command) =>
        (await import('./commands/apply.ts')).planFiles(options, globals(command)),
      ),
  (program) =>
    program
      .command('apply')
      .description('Create or change resources from files')
      .requiredOption(
        '-f, --file <path...>',
        'YAML or JSON files, or folders of them; - reads standard input',
        collect,
        [],
      )
      .option('--yes', 'do not ask before running work is destroyed')
      .option('-o, --output <format>', 'json, name')
      .action(async (options, command: Command) =>
        (await import('./commands/apply.ts')).applyFiles(options, globals(command)),
      ),
  (program) =>
    program
      .command('get')
      .description('List resources, or show one')
      .argument('<kind>', 'kind, plural or short name; several with commas; "all"')
      .argument('[names...]')
      .option('-o, --output <format>', 'table, wide, json, yaml, name', 'table')
      .option('-A, --all-namespaces', 'every namespace')
      .option('-l, --selector <labels>', 'label selector, e.g. a=b,c!=d')
      .option('-w, --watch', 'follow changes until Ctrl-C')
      .action(async (kind: string, names: string[], options, command: Command) =>
        (await import('./commands/get.ts')).get(kind, names, options, globals(command)),
      ),
  (program) =>
    program
      .command('describe')
      .description('Everything about one resource, with its events')
      .argument('<kind>')
      .argument('<name>')
      .action(async (kind: string, name: string, _options, command: Command) =>
        (await import('./commands/get.ts')).describe(kind, name, globals(command)),
      ),
  (program) =>
    program
      .command('why')
      .description('Why a job or replica waits, until when, and what would start it now; or why it sits where it does')
      .argument('<name>')
      .option('-o, --output <format>', 'json')
      .action(async (name: string, options, command: Command) =>
        (await import('./commands/why.ts')).why(name, options, globals(command)),
      ),
  (program) =>
    program
      .command('schedule')
      .description('What the scheduler would do with a state in files: seats, victims, waits, quota; needs no factory')
      .requiredOption(
        '-f, --file <path...>',
        'YAML or JSON of Nodes, Queues, jobs, …, or folders; - is standard input',
        collect,
        [],
      )
      .option('-o, --output <format>', 'table, wide, json, yaml, name', 'table')
      .option('--until-settled', 'play what follows, too: victims leave, others sit, until nothing more changes')
      .option('--now <time>', 'the time it is taken to be, e.g. 2026-01-01T00:00Z (default: now)')
      .addHelpText(
        'after',
        `
Examples:
  millwright schedule -f nodes.yaml -f jobs.yaml
  millwright get nodes,queues,gangs,jobs,services,pods -A -o yaml > state.yaml && millwright schedule -f state.yaml
  millwright schedule -f state.yaml -f one-more-job.yaml --until-settled -o json
docs/scheduling-state.md describes the files and the answer.`,
      )
      .action(async (options, command: Command) =>
        (await import('./commands/schedule.ts')).schedule(options, globals(command)),
      ),
  (program) =>
    program
      .command('forecast')
      .description('What the coming hours bring: waits, ends, evictions, lost work; with a change and without it')
      .option(
        '-f, --file <path...>',
        'the change: resources as they would be applied; - is standard input',
        collect,
        [],
      )
      .option('--add-nodes <count>', 'the change: so many nodes more, or COUNT=NODE, like that one')
      .option('--against <path...>', 'files of the state that it is about, or live (default: live)', collect, [])
      .option(
        '--now <time>',
        'the time it is taken to be, e.g. 2026-01-01T00:00Z (default: now; of files, the newest time that they name)',
      )
      .option('--horizon <duration>', 'how far ahead', '24h')
      .option('--seeds <count>', 'from so many seeds', '10')
      .option('--seed <number>', 'the first of them', '1')
      .option('--history <csv>', 'what jobs took and how they come, as `millwright import` writes it')
      .option(
        '--traffic <scenario>',
        'the requests that services get, from now on, and how jobs perform: `traffic` and `performance` of a scenario',
      )
      .option('--node-failures <rate>', 'of a thousand nodes, so many fail in a day', '6.5')
      .option('--repair <duration>', 'a node that failed is away for so long', '24h')
      .option('--spot-reclaims <rate>', 'of a thousand nodes on spot capacity, so many are taken away in a day', '6.3')
      .option('--spot-away <duration>', 'another comes in the place of one that was taken away after so long', '1h')
      .option('--spot-notice <duration>', 'that one is taken away is said so long before', '2m')
      .option('-o, --output <format>', 'table, wide, json, yaml', 'table')
      .addHelpText(
        'after',
        `
Examples:
  millwright forecast
  millwright forecast -f one-more-job.yaml --horizon 8h
  millwright forecast --add-nodes 16 --history history.csv
  millwright forecast --against state.yaml -f larger-quota.yaml -o json
  millwright forecast -f pool-on-spot.yaml -f job-with-twice-the-checkpoint-interval.yaml
Who is answered in time is foretold with --traffic alone: a running factory knows the requests of the last seconds,
and neither those of a day, nor how long its engines take, nor what would be in time.
docs/twin.md says what is known and what is not.`,
      )
      .action(async (options, command: Command) =>
        (await import('./commands/forecast.ts')).forecast(options, globals(command)),
      ),
  (program) =>
    program
      .command('replay')
      .description('Play again what was played or decided before, and say all that happens')
      .argument(
        '[what]',
        "a seed of the hunt; a history that it kept (.json); a scenario (.yaml); else a record of decisions (default: decisions.jsonl of the factory's folder)",
      )
      .option('--until <event>', 'stop after this event; of decisions, after so many cycles')
      .option('--why <name>', 'why a job, service or gang stands where it does then: NAME or NAMESPACE/NAME')
      .option('--tail <count>', 'print the last so many events alone; with --log, verdicts')
      .option('--seed <seed>', 'of a scenario (default: 1)')
      .option('--log', 'of decisions: print each verdict')
      .option('-o, --output <format>', 'text, json')
      .addHelpText(
        'after',
        `
Examples:
  millwright replay 40007
  millwright replay reports/hunt/40007.json --until 812 --why j3
  millwright replay scenario.yaml --seed 7 --tail 50
  millwright replay --log
The exit code is 1 where a rule is broken, or a decision is another one now.`,
      )
      .action(async (file: string | undefined, options, command: Command) =>
        (await import('./commands/replay.ts')).replay(file, options, globals(command)),
      ),
  (program) =>
    program
      .command('import')
      .description('A history of jobs from elsewhere, as the twin takes it (CSV, to standard output)')
      .argument('<format>', 'slurm, philly, openb, or history to check a file of our own form')
      .argument('<file...>', '- is standard input')
      .addHelpText(
        'after',
        `
Examples:
  TZ=UTC sacct -a -X -P -S 2026-01-01 --format=JobID,JobName,User,Account,Partition,Submit,Start,End,State,Timelimit,NNodes,AllocTRES > sacct.txt
  millwright import slurm sacct.txt > history.csv
docs/twin.md describes the columns, and has a command for what Kubernetes lists.`,
      )
      .action(async (format: string, files: string[]) =>
        (await import('./commands/import.ts')).importHistory(format, files),
      ),
  (program) => {
    const twin = program.command('twin').description('The factory on virtual time')
    twin
      .command('run')
      .description('Play a scenario: a fleet, its work and what goes wrong; needs no factory and touches none')
      .argument('<scenario>', 'a YAML file of kind Scenario')
      .option('--seed <number>', 'the first seed; a run is a function of the scenario and its seed', '1')
      .option('--seeds <count>', 'play so many, one after the other, and tell the range', '1')
      .option('-o, --output <format>', 'text, json, md, html', 'text')
      .option('--out <file>', 'write it there instead of to standard output')
      .addHelpText(
        'after',
        `
Examples:
  millwright twin run examples/twin/scenario.yaml --seed 7
  millwright twin run examples/twin/scenario.yaml --seeds 30 -o json --out before.json
  millwright twin run examples/twin/scenario.yaml -o html --out report.html
docs/twin.md describes the scenario and the report.`,
      )
      .action(async (file: string, options) => (await import('./commands/twin.ts')).twinRun(file, options))
    twin
      .command('diff')
      .description('What is different between two reports; the same seeds are compared one by one')
      .argument('<before>', 'what `twin run -o json` wrote')
      .argument('<after>', 'the same of another scenario, or of another version')
      .option('-o, --output <format>', 'text, json, md', 'text')
      .action(async (before: string, after: string, options) =>
        (await import('./commands/twin.ts')).twinDiff(before, after, options),
      )
  },
  (program) => {
    const drill = program
      .command('drill')
      .description('Faults injected on purpose; alone it lists what can be made to go wrong')
      .option('-o, --output <format>', 'table, json, yaml')
      .addHelpText(
        'after',
        `
Examples:
  millwright drill
  millwright drill run examples/drills/kill-a-rank.yaml
docs/drills.md describes the file and what is printed.`,
      )
      .allowExcessArguments()
      .action(async (options, command: Command) => {
        const [word] = command.args
        if (word !== undefined) command.error(`error: unknown command '${word}'`)
        await (await import('./commands/drill.ts')).catalogue(options)
      })
    drill
      .command('run')
      .description(
        'Strike for real, wait for the recovery, and say what it cost; exits with 1 if it came otherwise than expected',
      )
      .argument('<files...>', 'YAML files of kind Drill; - is standard input')
      .option('-o, --output <format>', 'text, json')
      .addHelpText(
        'after',
        '\nIt does harm: what it strikes is killed, stopped or lost. Ctrl-C ends it and undoes what lasts.',
      )
      .action(async (files: string[], options, command: Command) =>
        (await import('./commands/drill.ts')).runDrills(files, options, globals(command)),
      )
  },
  (program) =>
    program
      .command('signals')
      .description('From when on a sign of trouble counts, what follows from it, and who says so')
      .option('-o, --output <format>', 'table, json, yaml')
      .addHelpText('after', '\nThresholds are defaults; docs/recovery.md says how they are used.')
      .action(async (options) => await (await import('./commands/signals.ts')).signals(options)),
  (program) =>
    program
      .command('logs')
      .description('Output of a pod, a job or a service')
      .argument('<name>')
      .option('-f, --follow', 'go on as more is written')
      .option('--tail <lines>', 'the last lines only')
      .option('--rank <number>', 'one worker of a job (default: all, prefixed, or the only one)')
      .option('--timestamps', 'with the time of each line')
      .action(async (name: string, options, command: Command) =>
        (await import('./commands/logs.ts')).logs(name, options, globals(command)),
      ),
  (program) =>
    program
      .command('status')
      .description('The factory on one screen')
      .option('-w, --watch', 'keep it open')
      .option('-o, --output <format>', 'json')
      .action(async (options, command: Command) =>
        (await import('./commands/status.ts')).status(options, globals(command)),
      ),
  (program) =>
    program
      .command('queue')
      .description('What runs and what waits, in order')
      .action(async (_options, command: Command) => (await import('./commands/status.ts')).queue(globals(command))),
  (program) =>
    program
      .command('suspend')
      .description('Checkpoint a job, or drain a service, and give its seats back')
      .argument('<name>')
      .action(async (name: string, _options, command: Command) =>
        (await import('./commands/suspend.ts')).suspend(name, true, globals(command)),
      ),
  (program) =>
    program
      .command('resume')
      .description('Let a suspended job go on from its last checkpoint, or a service serve again')
      .argument('<name>')
      .action(async (name: string, _options, command: Command) =>
        (await import('./commands/suspend.ts')).suspend(name, false, globals(command)),
      ),
  (program) =>
    program
      .command('cordon')
      .description('Let a node take no new work')
      .argument('<node>')
      .option('--gone', 'it is silent and does not come back as it is: give up what ran there')
      .action(async (node: string, options, command: Command) =>
        (await import('./commands/cordon.ts')).cordon(node, options, globals(command)),
      ),
  (program) =>
    program
      .command('drain')
      .description('Empty a node: jobs leave with a checkpoint, replicas once others serve in their place')
      .argument('<node>')
      .option('--no-wait', 'do not wait until it is empty')
      .action(async (node: string, options, command: Command) =>
        (await import('./commands/cordon.ts')).drain(node, options, globals(command)),
      ),
  (program) =>
    program
      .command('uncordon')
      .description('Let a node take work again')
      .argument('<node>')
      .action(async (node: string, _options, command: Command) =>
        (await import('./commands/cordon.ts')).uncordon(node, globals(command)),
      ),
  (program) =>
    program
      .command('delete')
      .description('Delete resources by name or by file')
      .argument('[kind]')
      .argument('[names...]')
      .option('-f, --file <path...>', 'the resources of these files', collect, [])
      .option('--no-wait', 'do not wait until they are gone')
      .option('--yes', 'do not ask before running work is destroyed')
      .action(async (kind: string | undefined, names: string[], options, command: Command) =>
        (await import('./commands/delete.ts')).remove(kind, names, options, globals(command)),
      ),
  (program) =>
    program
      .command('chat')
      .description('Talk to a service; reads lines when no prompt is given')
      .argument('<service>')
      .argument('[prompt...]')
      .option('--max-tokens <count>', 'longest answer', '200')
      .option('--temperature <number>', '0 is greedy', '0.6')
      .option('--raw', 'complete the text as it is, without a chat template')
      .option('--api-key <key>', 'key of the gateway ($MILLWRIGHT_API_KEY)')
      .action(async (service: string, prompt: string[], options, command: Command) =>
        (await import('./commands/chat.ts')).chat(service, prompt.join(' '), options, globals(command)),
      ),
  (program) => {
    const model = program.command('model').description('Published models')
    model
      .command('pull')
      .description('Fetch a version into a folder, verified; what is there already is not fetched again')
      .argument('<name>', 'NAME (newest) or NAME-vN')
      .argument('<folder>')
      .action(async (name: string, folder: string, _options, command: Command) =>
        (await import('./commands/model.ts')).pull(name, folder, globals(command)),
      )
    model
      .command('list')
      .description('All versions')
      .action(async (_options, command: Command) =>
        (await import('./commands/get.ts')).get('models', [], { output: 'table' }, globals(command)),
      )
  },
  (program) =>
    program
      .command('ledger')
      .description('Where every slot-second went, and what it cost')
      .option('--by <what>', 'bucket, queue, namespace, owner, node', 'bucket')
      .option('--since <time>', 'hours, and days that are over, that go beyond it: 1h, 2d ago or 2026-01-01T00:00Z')
      .option('--explain', 'what each bucket means')
      .option('-o, --output <format>', 'json')
      .action(async (options, command: Command) =>
        (await import('./commands/ledger.ts')).ledger(options, globals(command)),
      ),
  (program) =>
    program
      .command('backup')
      .description("A consistent copy of a stopped factory's store")
      .argument('<folder>', 'a new folder')
      .action(async (folder: string, _options, command: Command) =>
        (await import('./commands/backup.ts')).backup(folder, globals(command)),
      ),
  (program) =>
    program
      .command('restore')
      .description('Replace the store of a stopped factory by a backup; what was there is kept beside it')
      .argument('<folder>', 'a folder that `backup` made')
      .action(async (folder: string, _options, command: Command) =>
        (await import('./commands/backup.ts')).restore(folder, globals(command)),
      ),
  (program) =>
    program
      .command('schema')
      .description('JSON Schema of a kind, for an editor')
      .argument('<kind>')
      .action(async (kind: string) => (await import('./commands/schema.ts')).schema(kind)),
  (program) =>
    program
      .command('explain')
      .description('What a field means, e.g. trainingjob.spec.checkpoint')
      .argument('<path>')
      .action(async (path: string) => (await import('./commands/schema.ts')).explainField(path)),
  (program) =>
    program
      .command('kubeconfig')
      .description('A kubeconfig for kubectl: millwright kubeconfig > kc && kubectl --kubeconfig kc get jobs')
      .action(async (_options, command: Command) =>
        (await import('./commands/kubeconfig.ts')).kubeconfig(globals(command)),
      ),
  (program) =>
    program
      .command('doctor')
      .description('Check this machine and the factory')
      .option('-o, --output <format>', 'json')
      .action(async (options, command: Command) =>
        (await import('./commands/doctor.ts')).doctor(options, globals(command)),
      ),
  (program) =>
    program
      .command('version')
      .description('The version')
      .action(() => console.log(version)),
  (program) =>
    program
      .command('completion')
      .description('Shell completion: source <(millwright completion bash)')
      .argument('<shell>', 'bash or zsh')
      .action(async (shell: string, _options, command: Command) =>
        (await import('./commands/completion.ts')).completion(shell, command.parent),
      ),
]

/** What stands nearer to the command wins. */
function globals(command: Command): Global {
  const own = command.opts<Global>()
  return command.parent === null ? own : { ...globals(command.parent), ...own }
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value]
}
