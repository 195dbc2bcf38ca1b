import type { TestModule } from 'vitest/node'

/** Prints the plain closing line `N passed, N failed, N skipped`; a file that fails to load counts as a failure. */
export default class Tally {
  onTestRunEnd(files: ReadonlyArray<TestModule>): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const file of files) {
      if (file.errors().length > 0) count.failed += 1
      for (const test of file.children.allTests()) count[test.result().state] += 1
    }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`)
  }
}
