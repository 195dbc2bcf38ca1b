import { defineConfig } from 'vitest/config'

/**
 * Two projects: pure tests share threads; tests of native modules and child processes (`*.process.test.ts` and
 * everything in test/e2e) get a process of their own.
 */
export default defineConfig({
  test: {
    reporters: ['default', './test/tally.ts'],
    projects: [
      {
        test: {
          name: 'pure',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
          exclude: ['**/*.process.test.ts', 'test/e2e/**', '**/node_modules/**'],
          pool: 'threads',
          isolate: false,
          testTimeout: 60_000, // far from what any takes: a busy machine fails no test
        },
      },
      {
        test: {
          name: 'process',
          include: [
            'src/**/*.process.test.ts',
            'test/**/*.process.test.ts',
            'test/e2e/**/*.test.ts',
            'examples/**/*.process.test.ts',
          ],
          pool: 'forks',
          testTimeout: 120_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 30_000 } },
        },
      },
    ],
  },
})
