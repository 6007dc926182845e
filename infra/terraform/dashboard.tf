locals {
  aws_names = { for name, function in local.functions : name => function.function_name }

  # Each graph has one line per function. It shows a metric of the functions or one of AWS.
  dashboard_graphs = concat(
    [
      for graph in [
        { title = "Rows read", metric = "rows_read", stat = "Sum", functions = keys(local.row_counting_functions) },
        { title = "Rows kept", metric = "rows_kept", stat = "Sum", functions = keys(local.row_counting_functions) },
        { title = "Rows excluded", metric = "rows_excluded", stat = "Sum", functions = keys(local.row_counting_functions) },
        { title = "Rows quarantined", metric = "rows_quarantined", stat = "Sum", functions = keys(local.row_counting_functions) },
        { title = "Objects written", metric = "objects_written", stat = "Sum", functions = keys(local.functions) },
        { title = "Conflicts: conditional puts that failed", metric = "conflicts", stat = "Sum", functions = keys(local.functions) },
        { title = "Retries: requests sent again", metric = "retries", stat = "Sum", functions = keys(local.functions) },
        { title = "Requests to S3", metric = "s3_requests", stat = "Sum", functions = keys(local.functions) },
        { title = "Age of processed events, median", metric = "event_age", stat = "p50", functions = keys(local.functions) },
        { title = "Age of processed events, 99th percentile", metric = "event_age", stat = "p99", functions = keys(local.functions) },
      ] : merge(graph, { namespace = local.metrics.namespace, dimension = local.metrics.dimension, names = local.aws_names })
    ],
    [
      for graph in [
        { title = "Duration, 99th percentile", metric = "Duration", stat = "p99" },
        { title = "Invocations", metric = "Invocations", stat = "Sum" },
        { title = "Errors", metric = "Errors", stat = "Sum" },
        { title = "Throttles", metric = "Throttles", stat = "Sum" },
      ] : merge(graph, { namespace = "AWS/Lambda", dimension = "FunctionName", functions = keys(local.functions), names = local.aws_names })
    ],
    [
      for graph in [
        { title = "Waiting events", metric = "ApproximateNumberOfMessagesVisible", stat = "Maximum" },
        { title = "Age of the oldest waiting event, seconds", metric = "ApproximateAgeOfOldestMessage", stat = "Maximum" },
      ] : merge(graph, { namespace = "AWS/SQS", dimension = "QueueName", functions = keys(local.functions), names = local.aws_names })
    ],
  )

  dashboard_series = concat(
    [
      for graph in local.dashboard_graphs : {
        title = graph.title
        series = [
          for name in graph.functions :
          [graph.namespace, graph.metric, graph.dimension, graph.names[name], { stat = graph.stat, label = name }]
        ]
      }
    ],
    [
      {
        title = "Dead letters"
        series = [
          for name, aws_name in local.aws_names :
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_name}-dead-letters", { stat = "Maximum", label = name }]
        ]
      },
      {
        # The search finds all reasons, since Terraform does not know which ones occur.
        title = "Rows excluded, by reason"
        series = [[{
          expression = "SEARCH('{${local.metrics.namespace},${local.metrics.dimension},${local.metrics.reason_dimension}} MetricName=\"rows_excluded\" ${local.metrics.dimension}=(${join(" OR ", [for name in values(local.aws_names) : "\"${name}\""])})', 'Sum')"
          label      = ""
          id         = "excluded"
        }]]
      },
    ],
  )
}

resource "aws_cloudwatch_dashboard" "lake" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for index, graph in local.dashboard_series : {
        type   = "metric"
        width  = 8
        height = 6
        x      = 8 * (index % 3)
        y      = 6 * floor(index / 3)
        properties = {
          title   = graph.title
          region  = local.region
          view    = "timeSeries"
          stacked = false
          period  = 300
          metrics = graph.series
        }
      }
    ]
  })
}
