"""Judge networks: metrics over a split, cost, and what the features are worth on other data.

    from pidkd_jax.evaluation.cost import cost
    from pidkd_jax.evaluation.evaluate import evaluate
    from pidkd_jax.evaluation.probe import probe

    evaluation = evaluate({'student': student}, data.test, normalisation, teacher)['student']
    evaluation.metrics['top1'], evaluation.logits        # a share, float32 [N, K]
    print(cost(student, (32, 32, 3)))                    # parameters and multiply-adds
    probe(student, other.train, other.test, (32, 32, 3), normalisation)   # top-1 of a linear probe

Networks are judged alike, whichever method trained them. Every network runs in inference mode and
in float32.
"""

from pidkd_jax.evaluation import classification, cost, evaluate, inference, outputs, probe

__all__ = ['classification', 'cost', 'evaluate', 'inference', 'outputs', 'probe']
