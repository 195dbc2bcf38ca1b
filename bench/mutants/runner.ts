import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Script } from 'node:vm'
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin'
import {
  type DryRunResult,
  DryRunStatus,
  determineHitLimitReached,
  type MutantRunOptions,
  type MutantRunResult,
  MutantRunStatus,
  type TestResult,
  type TestRunner,
  TestStatus,
  toMutantRunResult,
} from '@stryker-mutator/api/test-runner'
import check from 'fast-check'
import { expect } from 'vitest'
import { bundleOfTests } from './bundle.ts'
import { isInSample } from './sample.ts'
import { Suite, type Test } from './suite.ts'

/** What the instrumented code and Stryker tell each other; its names are Stryker's. */
interface Namespace {
  activeMutant?: string | undefined
  currentTestId?: string | undefined
  mutantCoverage?: { static: Record<string, number>; perTest: Record<string, Record<string, number>> } | undefined
  hitCount?: number | undefined
  hitLimit?: number | undefined
}
declare global {
  var __stryker__: Namespace | undefined
}

/** Random cases per property: the same each time, few, and not made smaller when one fails. */
const casesMax = 40

/**
 * Runs tests of the scheduler for one mutant after another in one process. vitest imports every module anew for each
 * mutant, which takes ten times as long as the tests themselves; here a compiled script is run again.
 */
class SchedulerTests implements TestRunner {
  /** The tests with what they are tests of, which say by whom each mutant is reached; and the same that say nothing. */
  #reporting = new Script('')
  #silent = new Script('')
  /** How long each took when it last ran. */
  readonly #tookMs = new Map<string, number>()
  /** When each last found a mutant. */
  readonly #foundAt = new Map<string, number>()
  #runs = 0

  capabilities() {
    return { reloadEnvironment: true }
  }

  async init(): Promise<void> {
    const text = await bundleOfTests(process.cwd())
    const silent = text.replaceAll(/(function stryCov_\w+\(\) \{)/g, '$1 return;')
    this.#reporting = scriptOf(text)
    this.#silent = scriptOf(silent)
  }

  async dryRun(): Promise<DryRunResult> {
    const stryker: Namespace = {}
    globalThis.__stryker__ = stryker
    const tests: TestResult[] = []
    for (const test of load(this.#reporting).values()) {
      stryker.currentTestId = test.id
      tests.push(this.#run(test))
    }
    const { mutantCoverage = { static: {}, perTest: {} } } = stryker
    return { status: DryRunStatus.Complete, tests, mutantCoverage }
  }

  async mutantRun({
    activeMutant,
    mutantActivation,
    hitLimit,
    testFilter,
  }: MutantRunOptions): Promise<MutantRunResult> {
    if (!isInSample(activeMutant)) return { status: MutantRunStatus.Error, errorMessage: 'not in the sample' }
    const stryker: Namespace = {}
    globalThis.__stryker__ = stryker
    if (mutantActivation === 'static') stryker.activeMutant = activeMutant.id
    const all = loaded(this.#silent)
    if (all instanceof Error) {
      return { status: MutantRunStatus.Killed, killedBy: [], failureMessage: all.message, nrOfTests: 0 }
    }
    Object.assign(stryker, { activeMutant: activeMutant.id, hitCount: 0, hitLimit })
    const tests: TestResult[] = []
    for (const test of this.#inOrder(testFilter ?? [...all.keys()], all)) {
      const result = this.#run(test)
      tests.push(result)
      if (result.status !== TestStatus.Failed) continue
      this.#foundAt.set(test.id, ++this.#runs)
      break
    }
    const { hitCount } = stryker
    return toMutantRunResult(determineHitLimitReached(hitCount, hitLimit) ?? { status: DryRunStatus.Complete, tests })
  }

  /** First who found one lately (mutants that are neighbours are found by the same tests), then the fastest. */
  #inOrder(ids: readonly string[], all: ReadonlyMap<string, Test>): Test[] {
    return ids.toSorted((a, b) => by(this.#foundAt, b, a) || by(this.#tookMs, a, b)).flatMap((id) => all.get(id) ?? [])
  }

  #run({ id, fileName, run }: Test): TestResult {
    const started = performance.now()
    const result = () => {
      const timeSpentMs = performance.now() - started
      this.#tookMs.set(id, timeSpentMs)
      return { id, name: id, fileName, timeSpentMs }
    }
    try {
      run()
      return { ...result(), status: TestStatus.Success }
    } catch (error) {
      return { ...result(), status: TestStatus.Failed, failureMessage: String(error) }
    }
  }
}

function by(rank: ReadonlyMap<string, number>, a: string, b: string): number {
  return (rank.get(a) ?? 0) - (rank.get(b) ?? 0)
}

function scriptOf(text: string): Script {
  return new Script(`(function (require, module) {${text}\n})`, { filename: 'tests-of-the-scheduler.cjs' })
}

/** A mutant may keep modules from being there at all. */
function loaded(script: Script): ReadonlyMap<string, Test> | Error {
  try {
    return load(script)
  } catch (error) {
    return new Error('not loaded', { cause: error })
  }
}

/** All modules anew, so that no mutant leaves anything behind. */
function load(script: Script): ReadonlyMap<string, Test> {
  const { describe, test, inFile, tests } = new Suite()
  const afterAll = (): void => {}
  const assert = (property: never, options: object) =>
    check.assert(property, { ...options, seed: 1, numRuns: casesMax, endOnFailure: true })
  const modules: Record<string, unknown> = {
    vitest: { describe, test, it: test, expect, afterAll, inFile },
    'fast-check': { ...check, assert, default: { ...check, assert } },
  }
  script.runInThisContext()((name: string) => modules[name] ?? require(name), { exports: {} })
  return tests
}

const require = createRequire(join(process.cwd(), 'package.json'))

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, 'scheduler', SchedulerTests)]
